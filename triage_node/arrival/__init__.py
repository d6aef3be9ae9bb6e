"""The first station: instances come over the network and are on disk before the sender reads Success."""
