#include "tests/support/cuda/call_rules.h"

#include <gtest/gtest.h>

namespace tessera::device::contract {
namespace {

TEST(CallRulesTest, NamesLoseWhatVersionsAdd) {
  EXPECT_EQ(plain_name("cuMemFree_v2"), "cuMemFree");
  EXPECT_EQ(plain_name("cuMemcpyHtoD_v2_ptds"), "cuMemcpyHtoD");
  EXPECT_EQ(plain_name("cudaMemcpy_v3020"), "cudaMemcpy");
  EXPECT_EQ(plain_name("cudaLaunchKernel_ptsz_v7000"), "cudaLaunchKernel");
  EXPECT_EQ(plain_name("cuMemHostAlloc"), "cuMemHostAlloc");
}

TEST(CallRulesTest, LargePageableCopiesInOnePieceAreForbidden) {
  const CudaCall copy{.name = "cudaMemcpy", .bytes = 65537, .to_card = true, .pageable = true};
  EXPECT_TRUE(why_forbidden(copy).has_value());
  CudaCall small = copy;
  small.bytes = 65536;
  EXPECT_FALSE(why_forbidden(small).has_value());
  CudaCall pinned = copy;
  pinned.pageable = false;
  EXPECT_FALSE(why_forbidden(pinned).has_value());
  CudaCall asynchronous = copy;
  asynchronous.name = "cudaMemcpyAsync";
  EXPECT_FALSE(why_forbidden(asynchronous).has_value());
}

TEST(CallRulesTest, PinningIsForbiddenWhereEverybodyWorks) {
  for (const char* name : {"cuMemHostAlloc", "cudaFreeHost", "cudaHostRegister"}) {
    EXPECT_TRUE(why_forbidden({.name = name}).has_value()) << name;
    EXPECT_FALSE(why_forbidden({.name = name, .in_primary = false}).has_value()) << name;
  }
}

TEST(CallRulesTest, WhatWaitsForEverybodyIsForbidden) {
  for (const char* name : {"cuMemFree", "cudaFree", "cuGreenCtxCreate", "cuCtxSynchronize", "cudaDeviceSynchronize"}) {
    EXPECT_TRUE(why_forbidden({.name = name}).has_value()) << name;
  }
  EXPECT_FALSE(why_forbidden({.name = "cudaFree", .null_handle = true}).has_value());
  EXPECT_FALSE(why_forbidden({.name = "cuStreamSynchronize"}).has_value());
  EXPECT_TRUE(why_forbidden({.name = "cuStreamSynchronize", .null_stream = true}).has_value());
  EXPECT_FALSE(why_forbidden({.name = "cuMemMap"}).has_value());
  EXPECT_TRUE(why_forbidden({.name = "cuLaunchKernel", .null_stream = true}).has_value());
}

}  // namespace
}  // namespace tessera::device::contract
