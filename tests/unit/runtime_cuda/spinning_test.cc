#include "tests/unit/runtime_cuda/spinning.h"

#include "tests/support/cuda/fake_cuda.h"
#include "tests/support/cuda/fake_probe_kernels.h"

namespace tessera::runtime::test {
namespace {

TEST(SpinningKernel, CostsItsModelAndNobodyElse) {
  device::test::FakeCuda cuda;
  device::test::add_probe_kernels(cuda);
  Spinning(device::test::FakeCuda::table()).run();
}

}  // namespace
}  // namespace tessera::runtime::test
