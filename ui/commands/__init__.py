"""The subcommands of `tips`: one module per command, or per few related ones."""
