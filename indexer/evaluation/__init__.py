"""How well a finished bundle answers questions whose right answers people have written down."""
