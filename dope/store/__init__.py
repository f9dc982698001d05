"""Floor 3: what was recorded, to be asked (``embedded``), and what must outlive the process besides it (``records``)."""
