#!/bin/sh
# Take out of a virtual environment what a worker never loads: symbols for debuggers, tests, sources
# of compiled modules, pictures, other services' descriptions, a second MPI binding, and pip itself.
# Run as `slim.sh /opt/dip`; needs binutils. It prints the megabytes before and after.
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)
megabytes() { du -sm --apparent-size "$1" | cut -f 1; }
before=$(megabytes "$1")

cd "$packages"
rm -rf pip pip-* setuptools setuptools-* pkg_resources _distutils_hack distutils-precedence.pth
find . -type d \( -name tests -o -name test \) -prune -exec rm -rf {} +
find . -type f \( -name '*.pxd' -o -name '*.pyx' -o -name '*.h' -o -name '*.hpp' -o -name '*.c' \
    -o -name '*.a' \) -delete
# scikit-image and others read their .pyi files when they are imported.
rm -rf cv2/*.pyi numpy/*.pyi
rm -f skimage/data/*.png skimage/data/*.tif skimage/data/*.jpg skimage/data/*.npy skimage/data/*.npz
rm -f pydicom/data/test_files/*.dcm
# Codecs of no format that is read or written (`grep -r imagecodecs cluster_worker`).
for codec in bcn lzham pcodec sperr sz3 ultrahdr zfp; do
    rm -f "imagecodecs/_$codec".*
done
rm -f imagecodecs.libs/liblzhamdll-* imagecodecs.libs/libcpcodec-* imagecodecs.libs/libSPERR-* \
    imagecodecs.libs/libSZ3c-* imagecodecs.libs/libuhdr-* imagecodecs.libs/libzfp-*
# The services that a worker calls, and what botocore reads for each of them.
find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name autoscaling ! -name dynamodb ! -name s3 \
    ! -name secretsmanager ! -name sso ! -name sso-oidc ! -name sts ! -name signin -exec rm -rf {} +
# mpi4py chooses the binding of the MPI library that is there, which is MPICH.
rm -f mpi4py/MPI.openmpi.*.so "$1"/lib/libmpi_abi.so*
# Copies of mpiexec, and servers that no world uses.
rm -f "$1"/bin/mpirun "$1"/bin/mpiexec.hydra "$1"/bin/hydra_nameserver "$1"/bin/hydra_persist
rm -rf "$1"/include
# Libraries in *.libs were edited after they were linked, and would not load any more.
find . "$1"/lib -maxdepth 8 -type f -name '*.so*' ! -path '*.libs/*' -exec strip --strip-unneeded {} + \
    2>/dev/null || true
echo "$1: $before MB before, $(megabytes "$1") MB now"
