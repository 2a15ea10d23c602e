"""covlaw inside other people's programs: TRL, verl, logs of any run."""
