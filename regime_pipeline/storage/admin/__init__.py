"""Operations on a whole database: migrations, backup and restore, roles, table sizes."""
