"""Hook of the site's generator: adds generated pages and files from other folders, and adapts links."""

import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))

import reference_pages
import site_files


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the reference, pages from other folders, and the files that pages link to."""
    generated = reference_pages.pages()
    for place, text in generated.items():
        files.append(File.generated(config, place, content=text))
    mirrored = {origin: page for origin, page in site_files.MIRRORED.items() if origin != "README.md"}
    for origin, page in mirrored.items():
        files.append(File.generated(config, page, abs_src_path=str(site_files.ROOT / origin)))
    own = [file.src_uri for file in files.documentation_pages() if file.src_uri not in generated]
    sources = {site_files.origin_of(place) for place in own}
    pages = ((origin, (site_files.ROOT / origin).read_text()) for origin in sources)
    for target in sorted(site_files.linked_files(pages)):
        files.append(
            File.generated(config, site_files.place_of(target), abs_src_path=str(site_files.ROOT / target))
        )
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Adapt the links of a page."""
    return site_files.for_site(markdown, site_files.origin_of(page.file.src_uri))
