"""The cascade: a CNN per slice and an RNN over the slices say whether a head CT shows blood, and then which kinds.

``preprocessing``  volume in HU to the network's grid, and heatmaps back
``slice_encoder``, ``sequence_model``, ``network``  CNN, RNN, and both stages on one CNN
``saliency``  Grad-CAM from the kept map
``calibration``  logits to probabilities
``weights``, ``release_writer``, ``self_test``  releases: checked, written, compared with this machine
``active_release``, ``installed_releases``  which release is in use; adding one, changing over and going back
``runner``, ``series_reading``  all of it on one series; its finding, and heatmaps from what was kept
"""

import os

# OpenMP reads this when torch is loaded. Its threads otherwise spin while they wait for each other: on a machine that is
# busy with anything else a reading then takes minutes instead of a second.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
