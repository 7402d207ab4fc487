"""The subcommands of `python -m sdtc_ros`: each module has add_arguments(parser) and run(args) -> exit status."""
