"""An HTTP service that edits faces, and the studio, its page: `visagist serve` and `visagist studio`."""
