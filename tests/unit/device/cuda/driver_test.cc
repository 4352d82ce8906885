#include "device/cuda/driver.h"

#include <gtest/gtest.h>

#include "tests/support/cuda/fake_cuda.h"

namespace tessera::device {
namespace {

TEST(DriverTest, WhereThereIsNoneOneLineSaysWhatToDo) {
  const auto driver = Driver::open();
  if (driver.ok()) {
    GTEST_SKIP() << "this host has a GPU";
  }
  EXPECT_TRUE(driver.error().code() == ErrorCode::kUnavailable || driver.error().code() == ErrorCode::kUnsupported);
  EXPECT_EQ(driver.error().message().find('\n'), std::string::npos);
  EXPECT_NE(driver.error().message().find("NVIDIA driver"), std::string::npos);
}

TEST(DriverTest, ErrorsCarryTheDriversNameForThem) {
  test::FakeCuda cuda;
  const Driver driver = test::FakeCuda::table();
  EXPECT_TRUE(driver.check(CUDA_SUCCESS, "do a thing").ok());
  const Status memory = driver.check(CUDA_ERROR_OUT_OF_MEMORY, "do a thing");
  EXPECT_EQ(memory.error().code(), ErrorCode::kOutOfMemory);
  EXPECT_EQ(memory.error().message(), "do a thing: CUDA_ERROR_OUT_OF_MEMORY (2)");
  EXPECT_EQ(driver.check(CUDA_ERROR_INVALID_VALUE, "do").error().code(), ErrorCode::kInternal);
  for (const CUresult result : {CUDA_ERROR_LAUNCH_FAILED, CUDA_ERROR_ILLEGAL_ADDRESS, CUDA_ERROR_ILLEGAL_INSTRUCTION,
                                CUDA_ERROR_ECC_UNCORRECTABLE, CUDA_ERROR_LAUNCH_TIMEOUT}) {
    EXPECT_EQ(driver.check(result, "do").error().code(), ErrorCode::kDeviceLost) << result;
  }
}

}  // namespace
}  // namespace tessera::device
