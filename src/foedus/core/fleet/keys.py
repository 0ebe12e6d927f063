"""Where in the object store the files are that belong to no single phone."""

TEST_KEY = "samples/test.bin"  # images that no phone has
MANIFEST_KEY = "samples/manifest.json"  # what phones have, and how it was drawn
