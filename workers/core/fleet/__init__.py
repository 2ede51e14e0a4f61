"""Launch settings as code: a file of groups is compared with the stack's, applied to it, and made of what AWS holds."""
