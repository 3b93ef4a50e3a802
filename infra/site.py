"""The site: one CloudFront origin for the page, the API and the results."""

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_deployment as deployment
from constructs import Construct

from config.contract.settings import TOP, SettingError
from config.contract.visitor import ADDRESS_HEADER, KEY_HEADER
from infra.api import Api
from infra.headers import API_POLICY, FILE_POLICY, HEADERS, KEPT_FOR_EVER, site_policy
from infra.settings import StackSettings
from infra.storage import Buckets, bucket_origin

DIST = TOP / "frontend" / "dist"
YEAR = Duration.days(365)

# Runs in CloudFront for each call of the API. X-Forwarded-For would begin with whatever the visitor
# wrote into it; this header has the address that CloudFront saw, also if the visitor sent one.
ADDRESS_FUNCTION = f"""
function handler(event) {{
  event.request.headers["{ADDRESS_HEADER.lower()}"] = {{ value: event.viewer.ip }};
  return event.request;
}}
"""


class Site(Construct):
    """The CloudFront distribution: the page at /, the API under /api, the results under /files.

    Parameters
    ----------
    api : Api
        The API; its stage is called `api`.
    buckets : Buckets
        Buckets of uploads and results.
    settings : StackSettings
        Name of the app, domain and certificate.

    Attributes
    ----------
    origin : str
        ``https://…``, the address that a visitor opens.

    Raises
    ------
    SettingError
        If the site is not built.
    """

    def __init__(
        self, scope: Construct, id: str, *, api: Api, buckets: Buckets, settings: StackSettings
    ) -> None:
        super().__init__(scope, id)
        self.settings = settings
        if not (DIST / "index.html").is_file():
            raise SettingError("the site is not built; run: make synth")
        pages = s3.Bucket(
            self,
            "Pages",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            # The pages can be built again from the repository.
            auto_delete_objects=True,
            removal_policy=RemovalPolicy.DESTROY,
        )
        policy = site_policy(bucket_origin(settings, "uploads"))
        address = cloudfront.Function(
            self,
            "Address",
            code=cloudfront.FunctionCode.from_inline(ADDRESS_FUNCTION),
            runtime=cloudfront.FunctionRuntime.JS_2_0,
            comment="Tells the API the address of its visitor",
        )
        viewer = cloudfront.ViewerProtocolPolicy
        self.distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment=f"{settings.name}: page, API and results",
            default_root_object="index.html",
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            # The TLS version of CloudFront's own certificate cannot be set.
            minimum_protocol_version=(
                cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021 if settings.certificate else None
            ),
            price_class=cloudfront.PriceClass.PRICE_CLASS_100,
            domain_names=[settings.domain] if settings.domain else None,
            certificate=(
                acm.Certificate.from_certificate_arn(self, "Certificate", settings.certificate)
                if settings.certificate
                else None
            ),
            default_behavior=cloudfront.BehaviorOptions(
                origin=self._bucket_origin("PageAccess", pages),
                viewer_protocol_policy=viewer.REDIRECT_TO_HTTPS,
                response_headers_policy=self._headers("PageHeaders", policy),
                compress=True,
            ),
            additional_behaviors={
                "/api/*": cloudfront.BehaviorOptions(
                    # The origin needs no path: the stage is called `api`, like the prefix /api.
                    origin=origins.HttpOrigin(
                        api.domain,
                        read_timeout=Duration.seconds(30),
                        # CloudFormation reads it; the template holds only the secret's name.
                        custom_headers={KEY_HEADER: api.origin_secret.secret_value.unsafe_unwrap()},
                    ),
                    function_associations=[
                        cloudfront.FunctionAssociation(
                            function=address,
                            event_type=cloudfront.FunctionEventType.VIEWER_REQUEST,
                        )
                    ],
                    viewer_protocol_policy=viewer.HTTPS_ONLY,
                    allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
                    cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
                    origin_request_policy=(
                        cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER
                    ),
                    response_headers_policy=self._headers("ApiHeaders", API_POLICY),
                ),
                "/files/*": cloudfront.BehaviorOptions(
                    origin=self._bucket_origin("FileAccess", buckets.results),
                    viewer_protocol_policy=viewer.HTTPS_ONLY,
                    allowed_methods=cloudfront.AllowedMethods.ALLOW_GET_HEAD,
                    response_headers_policy=self._headers("FileHeaders", FILE_POLICY),
                ),
            },
        )
        self.origin = f"https://{settings.domain or self.distribution.distribution_domain_name}"
        self._deploy(pages)

    def _global_name(self, id: str) -> str:
        """Return a name for a resource whose names must differ in all regions of the account."""
        return f"{self.settings.name}-{id}-{Aws.REGION}"

    def _bucket_origin(self, id: str, bucket: s3.IBucket) -> cloudfront.IOrigin:
        """Make a bucket an origin that CloudFront alone may read."""
        access = cloudfront.S3OriginAccessControl(
            self, id, origin_access_control_name=self._global_name(id)
        )
        return origins.S3BucketOrigin.with_origin_access_control(
            bucket, origin_access_control=access
        )

    def _headers(self, id: str, content_policy: str) -> cloudfront.ResponseHeadersPolicy:
        """Build the policy of the headers that CloudFront adds to answers.

        Parameters
        ----------
        id : str
            Construct id of the policy.
        content_policy : str
            The Content-Security-Policy.
        """
        # CloudFront has properties of their own for these headers.
        known = {
            "Referrer-Policy",
            "X-Content-Type-Options",
            "X-Frame-Options",
        }
        return cloudfront.ResponseHeadersPolicy(
            self,
            id,
            response_headers_policy_name=self._global_name(id),
            security_headers_behavior=cloudfront.ResponseSecurityHeadersBehavior(
                content_security_policy=cloudfront.ResponseHeadersContentSecurityPolicy(
                    content_security_policy=content_policy, override=True
                ),
                content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
                frame_options=cloudfront.ResponseHeadersFrameOptions(
                    frame_option=cloudfront.HeadersFrameOption.DENY, override=True
                ),
                referrer_policy=cloudfront.ResponseHeadersReferrerPolicy(
                    referrer_policy=cloudfront.HeadersReferrerPolicy.NO_REFERRER, override=True
                ),
                strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                    access_control_max_age=YEAR, include_subdomains=True, override=True
                ),
            ),
            custom_headers_behavior=cloudfront.ResponseCustomHeadersBehavior(
                custom_headers=[
                    cloudfront.ResponseCustomHeader(header=name, value=value, override=True)
                    for name, value in HEADERS.items()
                    if name not in known
                ]
            ),
        )

    def _deploy(self, pages: s3.Bucket) -> None:
        """Copy the built site into the bucket: the hashed assets first, then the page."""
        source = deployment.Source.asset(str(DIST))
        assets = deployment.BucketDeployment(
            self,
            "Assets",
            destination_bucket=pages,
            sources=[source],
            exclude=["*"],
            include=["assets/*"],
            cache_control=[deployment.CacheControl.from_string(KEPT_FOR_EVER)],
            # Keep old assets: pages that are open still load the assets they were built with.
            prune=False,
        )
        rest = deployment.BucketDeployment(
            self,
            "Page",
            destination_bucket=pages,
            sources=[source],
            exclude=["assets/*"],
            cache_control=[deployment.CacheControl.no_cache()],
            prune=False,
            distribution=self.distribution,
            distribution_paths=["/", "/index.html"],
        )
        rest.node.add_dependency(assets)
