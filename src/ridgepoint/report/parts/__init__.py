"""What of a page and of the terminal's last lines is about one task's answers, a file each."""
