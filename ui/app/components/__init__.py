"""Parts of the page that Streamlit has not: plain JavaScript beside small typed wrappers."""
