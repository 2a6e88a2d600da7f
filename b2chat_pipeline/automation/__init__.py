"""Jobs, schedules and sensors: thin shells over `policy/`."""
