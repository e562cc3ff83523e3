"""The main job: images, a device and a budget in; a checked model file out."""
