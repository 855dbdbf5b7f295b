"""Search algorithms behind one ask/tell interface, independent of Ray."""
