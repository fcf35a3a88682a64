"""The documentation site: `make site` builds it from the Markdown pages as they are on GitHub.

The source folder is the project, not `docs/`: links between docs/, config/README.md and README.md
are then the same on GitHub and in the site.
"""

import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PROJECT / "workflow" / "scripts"), str(PROJECT / "docs" / "tools")]
# The kernel of the notebook is another process and starts in a folder of its own.
os.environ["PYTHONPATH"] = os.pathsep.join([sys.path[0], os.environ.get("PYTHONPATH", "")])

from pygments.lexers.special import TextLexer

import site_pages
from pixelcal import __version__

project = "pixelcal"
author = "pixelcal developers"
project_copyright = "pixelcal developers"
release = version = __version__
language = "en-GB"

root_doc = "docs/index"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "config/README.md",
    "docs/**.md",
]
exclude_patterns = [
    ".*",
    "results",
    "site",
    "workflow",
    "tests",
    "benchmarks",
    "resources",
    "docs/tools",
]
extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
]

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
myst_links_external_new_tab = False
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 120
nb_ipywidgets_js = {}  # nothing is loaded from elsewhere

autosummary_generate = False  # all of the API is on one page
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say more: shapes and units
default_role = "py:obj"
numpydoc_show_class_members = False
# What a docstring calls a parameter is what the function calls it, and none is missing.
numpydoc_validation_checks = {"PR01", "PR02", "PR03", "PR10", "RT01", "SS01"}
numpydoc_validation_exclude = {r"\.[A-Z]\w+$"}  # of a class the attributes are the parameters
copybutton_exclude = ".linenos, .gp"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = f"pixelcal {release}"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_extra_path = ["_site_root"]  # index.html, which leads to the start page
templates_path = ["_templates"]
html_sidebars = {"**": ["all_pages.html"]}
html_theme_options = {
    "navbar_center": [],  # the pages are listed at the side
    "navbar_end": ["theme-switcher"],
    "footer_end": [],
    "show_toc_level": 2,
    "search_bar_text": "Search",
}
html_show_sourcelink = False
html_copy_source = False


def setup(app):
    """The lists of pages in docs/index.md are the table of contents."""
    app.add_lexer("csv", TextLexer)  # GitHub knows it, Pygments does not
    app.connect("source-read", site_pages.add_contents)
