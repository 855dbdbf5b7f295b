#!/bin/bash
# A study as a Slurm job, on one node or on several (README.md says how to submit it):
#   sbatch --nodes=4 examples/slurm/study.sh NAME --features resnet --trials 40 --concurrent 16
#SBATCH --job-name=hpo
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=08:00:00
# TERM reaches this script 120 s before the time limit; a study ends in good order within seconds.
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

study=${1:?usage: sbatch study.sh NAME [options of hpo run bayes]}
shift
# Every node must see these folders.
export HPO_RUNS=${HPO_RUNS:-$PWD/hpo-runs}
export HPO_CACHE=${HPO_CACHE:-$HPO_RUNS/cache}
mkdir -p "$HPO_RUNS" "$HPO_CACHE"
inside=()
if [ -n "${HPO_IMAGE:-}" ]; then
    gpus=${SLURM_GPUS_ON_NODE:+--nv}
    folders=$PWD,$HPO_RUNS,$HPO_CACHE${HPO_DATA:+,$HPO_DATA}${RAY_TMPDIR:+,$RAY_TMPDIR}
    inside=(apptainer exec ${gpus:+"$gpus"} --bind "$folders" "$HPO_IMAGE")
fi

# When this script ends, so do the nodes of Ray that it has started, and their files are removed.
session=${RAY_TMPDIR:-/tmp}/hpo-ray-$SLURM_JOB_ID
end() {
    jobs -p | xargs --no-run-if-empty kill 2>/dev/null || true
    wait
    [ "$SLURM_JOB_NUM_NODES" -eq 1 ] || srun --ntasks="$SLURM_JOB_NUM_NODES" rm -rf "$session" || true
}
trap end EXIT

cluster=()
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
    # This script runs on the first node, which becomes Ray's head. The ports are the job's own: other jobs may run here.
    read -r head < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
    read -r host _ < <(hostname --ip-address)
    # They lie below those that Linux gives to connections, 32768 and up.
    port=$((20000 + SLURM_JOB_ID % 6000 * 2))
    others=$((SLURM_JOB_NUM_NODES - 1))
    token=$(od --address-radix=n --read-bytes=32 --format=x1 /dev/urandom | tr --delete ' \n')
    export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=$token RAY_USAGE_STATS_ENABLED=0
    export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
    # Ray's log monitor would copy the workers' logs to the study, which shows none of them.
    start=("${inside[@]}" ray start --block --include-log-monitor=false "--num-cpus=$SLURM_CPUS_PER_TASK")
    srun --nodes=1 --ntasks=1 --nodelist="$head" "${start[@]}" --head --node-ip-address="$host" --port="$port" \
        --temp-dir="$session" --ray-client-server-port=$((port + 1)) --include-dashboard=false &
    until "${inside[@]}" ray health-check --address "$host:$port" >/dev/null 2>&1; do
        kill -0 $! || { echo "the head of the Ray cluster did not start" >&2; exit 1; }
        sleep 1
    done
    # A node that is late joins the study when it comes.
    srun --nodes="$others" --ntasks="$others" --exclude="$head" "${start[@]}" --address="$host:$port" &
    cluster=(--ray-address "$host:$port")
fi

# A job that starts again continues its study; a journal that was killed before its first event is empty.
if [ -s "$HPO_RUNS/studies/$study/journal.jsonl" ]; then
    if [ "${SLURM_RESTART_COUNT:-0}" -eq 0 ] && [ $# -gt 0 ]; then
        echo "study $study exists and is resumed with its own settings; not used: $*" >&2
    fi
    "${inside[@]}" hpo resume "$study" "${cluster[@]}" &
else
    "${inside[@]}" hpo run bayes --study "$study" "$@" "${cluster[@]}" &
fi
driver=$!
stopped=
trap 'stopped=yes; kill -TERM "$driver"' TERM
code=0
wait "$driver" || code=$?
if [ -n "$stopped" ]; then
    # TERM has ended the first wait.
    code=0
    wait "$driver" || code=$?
fi
# 130: stopped in good order, here by Slurm's early signal and not by the user's hpo stop. A job that is not RUNNING was
# cancelled or preempted: a cancelled job must not be requeued; Slurm itself requeues a preempted one.
# 143: TERM came before Python could take it, in its first seconds.
if [ -n "$stopped" ] && [[ $code =~ ^(130|143)$ ]] && [ "$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T)" = RUNNING ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
