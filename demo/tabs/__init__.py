"""The tabs of the page, one file each; `build` lays one out and connects it."""
