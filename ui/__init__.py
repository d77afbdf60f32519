"""The user interfaces: the `tips` command line, the Streamlit app and the HTTP service."""

from tips_model.former_names import keep_former_names

keep_former_names()
