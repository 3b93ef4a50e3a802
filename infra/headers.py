"""The headers of the site's answers, sent by CloudFront and by the front of `infra.local`."""

# Headers of all answers of this origin. An answer that has one of them already keeps its own.
HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
# The page at /api/ has a style sheet of the site, and nothing else.
API_POLICY = "default-src 'none'; style-src 'self'; frame-ancestors 'none'"
# A result is made from untrusted bytes: opened as a page it must not be able to do anything.
FILE_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"

# For files under /assets: Vite puts the hash of the content into the name.
KEPT_FOR_EVER = "public, max-age=31536000, immutable"


def site_policy(uploads: str) -> str:
    """Build the page's Content-Security-Policy.

    Parameters
    ----------
    uploads : str
        Origin of S3, to which the page uploads.
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
