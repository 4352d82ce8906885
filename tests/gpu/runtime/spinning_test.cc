// A kernel that does not end, on a card.
#include "tests/unit/runtime_cuda/spinning.h"

namespace tessera::runtime::test {
namespace {

TEST(SpinningKernelOnGpu, CostsItsModelAndNobodyElse) {
  const auto& driver = device::contract::host_driver();
  if (!driver.ok()) {
    GTEST_SKIP() << driver.error().message();
  }
  Spinning(*driver).run();
}

}  // namespace
}  // namespace tessera::runtime::test
