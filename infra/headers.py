"""The headers that the site's origin sends, from CloudFront as from a machine of one's own."""

# For everything at this origin; answers with a policy of their own keep it.
HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
API_POLICY = "default-src 'none'; frame-ancestors 'none'"
# A result is made from a stranger's bytes: opened by itself it may do nothing at all.
FILE_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"

# Vite puts the hash of what is in a file under /assets into its name.
KEPT_FOR_EVER = "public, max-age=31536000, immutable"


def site_policy(uploads: str) -> str:
    """Build the page's Content-Security-Policy.

    Parameters
    ----------
    uploads : str
        Origin of S3, which the page uploads to.
    """
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob: data:",
            "font-src 'self'",
            f"connect-src 'self' {uploads}",
            "manifest-src 'self'",
            "worker-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
