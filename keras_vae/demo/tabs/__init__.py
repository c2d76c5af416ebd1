"""The tabs of the page, one module each; its `build` lays out the tab and connects its events."""
