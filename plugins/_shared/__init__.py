"""What the plug-ins of several trainers have in common."""
