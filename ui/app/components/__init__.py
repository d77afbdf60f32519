"""Custom Streamlit components: plain JavaScript with small typed Python wrappers."""
