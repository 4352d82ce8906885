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

// A driver's own look-up over the table of the driver in memory. It has all entries but one; "": all.
std::string_view missing;

CUresult look_up(const char* name, void** entry, int version, cuuint64_t /*flags*/,
                 CUdriverProcAddressQueryResult* found) {
  const Driver table = test::FakeCuda::table();
  *entry = nullptr;
  *found = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  if (version != CUDA_VERSION) {
    return CUDA_ERROR_INVALID_VALUE;
  }
#define TESSERA_FIND(member, entry_name)                          \
  if (std::string_view(name) == #entry_name && missing != name) { \
    *entry = reinterpret_cast<void*>(table.member);               \
    *found = CU_GET_PROC_ADDRESS_SUCCESS;                         \
  }
  TESSERA_CUDA_ENTRIES(TESSERA_FIND)
#undef TESSERA_FIND
  return *entry == nullptr ? CUDA_ERROR_NOT_FOUND : CUDA_SUCCESS;
}

void expect_one_line(const Result<Driver>& driver, ErrorCode code, std::string_view words) {
  ASSERT_FALSE(driver.ok());
  EXPECT_EQ(driver.error().code(), code);
  EXPECT_EQ(driver.error().message().find('\n'), std::string::npos);
  EXPECT_EQ(driver.error().message(), words);
}

TEST(DriverTest, ATooOldOneIsToldInOneLine) {
  test::FakeCuda cuda;
  missing = "";
  EXPECT_TRUE(Driver::from(&look_up).ok());
  expect_one_line(Driver::from(nullptr), ErrorCode::kUnsupported,
                  "the NVIDIA driver is too old: CUDA 13.0 (driver 580) or newer is needed");
  missing = "cuDevSmResourceSplitByCount";
  expect_one_line(Driver::from(&look_up), ErrorCode::kUnsupported,
                  "the NVIDIA driver is too old, it has no cuDevSmResourceSplitByCount: CUDA 13.0 (driver 580) or "
                  "newer is needed");
}

TEST(DriverTest, ADriverWithoutACardSaysSo) {
  test::FakeCuda cuda;
  missing = "";
  cuda.fail("cuInit", CUDA_ERROR_NO_DEVICE);
  expect_one_line(Driver::from(&look_up), ErrorCode::kUnavailable,
                  "the NVIDIA driver finds no GPU on this host: use --device host");
  cuda.fail("cuInit", CUDA_ERROR_OUT_OF_MEMORY);
  expect_one_line(Driver::from(&look_up), ErrorCode::kUnavailable,
                  "start the NVIDIA driver: CUDA_ERROR_OUT_OF_MEMORY (2)");
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
