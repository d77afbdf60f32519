"""The ways in: the command line `tips` and the Streamlit app."""

from tips_model.former_names import keep_former_names

keep_former_names()
