"""Pages of names that users meet outside the program: environment variables, exit codes, MLflow's records."""

from reference_pages.markdown import code, table

VARIABLES = {
    "HPO_RUNS": (
        "`./hpo-runs`",
        "Folder of studies and of the default MLflow store. A job on a Ray cluster needs it.",
    ),
    "HPO_CACHE": (
        "`~/.cache/hpo`, or `cache` in `HPO_RUNS` without a home that can be written",
        "Folder of memory-mapped data sets, and of copies of data at a URI.",
    ),
    "HPO_DATA": (
        "`./data`; `hpo doctor`: none",
        "Data folder when `--data` is not given: of a new study with `--features`, of `hpo evaluate`, of "
        "`hpo analyse` with a file of weights, and of `hpo doctor`.",
    ),
    "MLFLOW_TRACKING_URI": ("an SQLite file in `HPO_RUNS`", "Address of the MLflow store."),
    "RAY_ADDRESS": (
        "this machine",
        "Ray cluster that trains. Ray sets it in jobs; `local` means this machine. `--ray-address` has "
        "precedence.",
    ),
    "RAY_AUTH_TOKEN": (
        "none",
        "Token of a Ray cluster. On this machine alone, every study makes a token of its own.",
    ),
    "RAY_AUTH_TOKEN_PATH": ("none", "File with the token of a Ray cluster."),
    "RAY_AUTH_MODE": ("`token` if a token is set", "Ray's way to authenticate."),
    "RAY_TMPDIR": (
        "`$TMPDIR`, `/tmp`, `/var/tmp`, `/dev/shm` or the home, whichever works first",
        "Folder for Ray's sockets and logs.",
    ),
    "TMPDIR": ("none", "First place for Ray's sockets and logs when `RAY_TMPDIR` is not set."),
    "PYTHONPATH": ("none", "Where Python finds a task of your own."),
    "MPLCONFIGDIR": ("`~/.config/matplotlib`", "Matplotlib's own files; set for users without a home."),
    "NO_PROXY": ("none", "Hosts that are reached without a proxy. Addresses of this machine are added."),
}
"""Variable -> its default and its meaning."""
EXIT_CODES = {
    0: "The command did what it says. `hpo reproduce`: equal or close.",
    1: "There is no result: all trials of a stage failed, a budget ended before a trial had a score, `hpo "
    "doctor` found a problem, a check of `hpo bench --check` failed, or `hpo reproduce` found a difference. "
    "An error of the program itself also ends with 1 and prints a traceback.",
    2: "An error that can be corrected. For data, settings, a full disk or a process of Ray that died, one "
    "message that begins with `error:` says what to do. For a command or an option that does not exist or "
    "has no valid value, `Usage: ...` and `Error: ...` say what was expected.",
    130: "The study or download was stopped by Ctrl-C, SIGTERM or a closed terminal, or a job by `--stop`. "
    "`hpo resume` continues a study. Ctrl-C while `hpo submit` follows a job also gives 130, but the job "
    "continues.",
}
"""Exit code -> its meaning."""
TAGS = {
    "hpo.study": "Name of the study.",
    "hpo.identity": "Identity of the study (experiment); two studies of one name in one store differ in it.",
    "hpo.recorded_events": "Number of journal events that MLflow has (experiment).",
    "hpo.stage": "Name of the stage.",
    "hpo.trial": "Name of the trial; of a failed attempt after which it was trained again, with its "
    "number: `bayes-0001 (attempt 1)`.",
    "hpo.status": "State of a study (experiment), stage or trial, such as `running`, `complete`, `finished`, "
    "`stopped`, `failed`, `interrupted`.",
    "hpo.trials": "Numbers of trials that finished, were stopped and failed (experiment).",
    "hpo.recipe": "Network, digest of its weights, preprocessing, rate and PCA of features that "
    "`hpo data extract` made (experiment).",
    "hpo.reason": "Reason why the trial failed or was stopped.",
    "hpo.best": "`true` for the trials of the configuration that the stage chose, or of its best so far; of "
    "an experiment, score and name of the best configuration of the study.",
    "hpo.best_trial": "Best trial of the stage.",
    "hpo.replicate": "Number of the replicate, from 0.",
    "hpo.role": "Role of the trial in its stage, such as the name of a row of a table.",
    "hpo.host": "Machine that trained the trial.",
    "hpo.device": "Device that trained the trial.",
    "hpo.threads": "Number of processor threads of the trial.",
    "hpo.precision": "Number format of matrix products.",
    "hpo.data_digest": "Hash of the content of the data.",
    "hpo.code_digest": "Hash of the code that decides numbers.",
    "hpo.versions": "Versions of Python and of the packages that results depend on.",
    "hpo.dataset": "Name of the data and features of a registered model.",
    "hpo.score": "Score of a registered model on the validation split, with its interval.",
    "hpo.test_score": "Score of a registered model on the test split.",
    "hpo.name.": "Beginning of the tag that keeps a name which is too long for MLflow.",
}
"""Tag of experiments, runs and registered models -> its meaning."""
METRICS = {
    "score": "Score of a trial's best validation, at the step after its last one; in a stage, the mean of "
    "its best configuration after each trial, and at its end that of the chosen one.",
    "train_s": "Seconds of training and validation so far, at a validation, divided among the trials of an "
    "array.",
    "average_map": "Average-mAP over all classes, on the validation split.",
    "average_map_present": "Average-mAP over the classes that have actions in the split.",
    "ap/CLASS": "AP of a class that has actions in the split.",
    "test/NAME": "Metric NAME on the test split (`hpo run final`).",
    "importance/NAME": "Importance of a hyperparameter in a search: its share, 0 to 1, of the variance "
    "of the score that single hyperparameters explain.",
    "system/gpu_0_memory_usage_megabytes": "Largest memory that the process of the trial has reserved on its "
    "GPU.",
    "system/gpu_0_utilization_percentage": "Mean utilisation of the GPU (with `pip install '.[gpu]'`).",
}
"""Metric of stages and trials -> its meaning; words in capitals stand for a name."""
ARTIFACTS = {
    "study.json": "Plan of the study (stage).",
    "settings.json": "Table of the stage in the study file, with the options that were typed (stage).",
    "space.json": "Space of the stage (stage).",
    "config.json": "Settings of the model (trial).",
    "best.pt": "Network of the best validation (trial).",
    "figures/": "Figures as PNG files and as one interactive page (stage).",
    "report.html": "Page of `hpo report` (newest stage).",
    "analysis-SPLIT/": "Tables and figures of `hpo analyse` or `hpo report --analyse` on a split (trial).",
    "networks-SPLIT/": "Timelines of one game by several networks, from `hpo analyse` (trial).",
    "model/": "Network in MLflow's format for models, which `models:/STUDY/VERSION` names (trial).",
}
"""Artifact of stages and trials -> its meaning; words in capitals stand for a name."""


def environment_page() -> str:
    """Return the page of environment variables."""
    rows = [(code(name), default, meaning) for name, (default, meaning) in VARIABLES.items()]
    return "\n".join(
        [
            "# Environment variables\n",
            "An unset or empty variable has its default. `hpo submit` sends `HPO_RUNS`, `HPO_CACHE`, "
            "`HPO_DATA` and "
            "`MLFLOW_TRACKING_URI` with a job, and nothing else of your environment.\n",
            table(("variable", "default", "meaning"), rows),
            "`$NAME` in `--notify` or `[notify] url` is the variable that holds an address for "
            "notifications. `hpo` reads "
            "credentials of object stores (`AWS_...`) and of MLflow through their own libraries.\n",
        ]
    )


def exit_codes_page() -> str:
    """Return the page of exit codes."""
    rows = [(str(number), meaning) for number, meaning in EXIT_CODES.items()]
    return "\n".join(["# Exit codes\n", table(("code", "meaning"), rows)])


def mlflow_page() -> str:
    """Return the page of names in MLflow."""
    return "\n".join(
        [
            "# Names in MLflow\n",
            "One experiment is one study, one parent run one stage, one child run one trial. "
            "Hyperparameters are parameters "
            "of a trial under the paper's symbols (`f`, `r_s`, `alpha2`, `K1.goal`), with `seed` beside "
            "them. A network of "
            "`hpo run final` is registered as `models:/STUDY/VERSION`.\n",
            "A character that MLflow refuses becomes the code of its number: `ap/yellow-_x3E_red-card` is "
            "`ap/yellow->red-card`.\n",
            "## Tags\n",
            table(("tag", "meaning"), [(code(name), meaning) for name, meaning in TAGS.items()]),
            "## Metrics\n",
            table(("metric", "meaning"), [(code(name), meaning) for name, meaning in METRICS.items()]),
            "Every other metric of a validation has the name that its task gives.\n",
            "## Artifacts\n",
            table(("artifact", "meaning"), [(code(name), meaning) for name, meaning in ARTIFACTS.items()]),
        ]
    )
