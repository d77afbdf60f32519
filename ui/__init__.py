"""The ways in: the command line `tips` and the Streamlit app."""
