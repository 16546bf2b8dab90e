"""The engines a worker can drive: one small interface (`base`), one file per library."""
