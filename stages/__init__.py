"""The work, in the order the data flows: coding and image pairs, judged, audited, exported, trained on."""
