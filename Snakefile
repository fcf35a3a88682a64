# So that `snakemake` finds profiles/default by itself; the workflow is in workflow/Snakefile.
# `include:` alone would leave the default target behind.
workflow.include("workflow/Snakefile", overwrite_default_target=True)
