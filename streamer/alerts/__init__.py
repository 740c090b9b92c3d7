"""Alerts: rules over the log, and the incidents that they find. Pure, but for the reader."""
