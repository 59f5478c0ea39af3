-- PostgreSQL tells other instances of new facts; a file belongs to one instance, which looks by itself.
SELECT 1;
