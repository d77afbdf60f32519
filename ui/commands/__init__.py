"""The subcommands of `tips`, one module each or a few that belong together."""
