#include "device/cuda/device_spec.h"

#include <gtest/gtest.h>

namespace tessera::device {
namespace {

TEST(DeviceSpecTest, CardsAndPartsOfCards) {
  const auto specs = parse_cuda_devices("cuda:0,cuda:1/0-7,cuda:1/8-15,cuda:12/3");
  ASSERT_TRUE(specs.ok()) << specs.error().message();
  ASSERT_EQ(specs->size(), 4U);
  EXPECT_EQ((*specs)[0].gpu, 0);
  EXPECT_FALSE((*specs)[0].atoms.has_value());
  EXPECT_EQ((*specs)[1].atoms, (Slice{0, 8}));
  EXPECT_EQ((*specs)[2].atoms, (Slice{8, 8}));
  EXPECT_EQ((*specs)[3].gpu, 12);
  EXPECT_EQ((*specs)[3].atoms, (Slice{3, 1}));
  EXPECT_EQ(to_string((*specs)[0]), "cuda:0");
  EXPECT_EQ(to_string((*specs)[2]), "cuda:1/8-15");
  EXPECT_EQ(to_string((*specs)[3]), "cuda:12/3");
}

TEST(DeviceSpecTest, WhatIsNoDeviceIsRefusedByName) {
  for (const char* text :
       {"", "cuda", "cuda:", "cuda:x", "cuda:-1", "cuda:0,", ",cuda:0", "cuda:0/", "cuda:0/3-", "cuda:0/3-2",
        "cuda:0/-2", "cuda:0/1-2-3", "cuda:0 ", "cuda:256", "cuda:0/1024", "cuda:99999999999", "host"}) {
    const auto specs = parse_cuda_devices(text);
    ASSERT_FALSE(specs.ok()) << text;
    EXPECT_EQ(specs.error().code(), ErrorCode::kInvalidArgument);
  }
  EXPECT_NE(parse_cuda_devices("cuda:0,gpu1").error().message().find("'gpu1'"), std::string::npos);
}

TEST(DeviceSpecTest, AProcessorBelongsToOneDevice) {
  for (const char* text : {"cuda:0,cuda:0", "cuda:0,cuda:0/1", "cuda:0/0-7,cuda:0/7-9", "cuda:0/2,cuda:1,cuda:0/0-3"}) {
    EXPECT_FALSE(parse_cuda_devices(text).ok()) << text;
  }
}

}  // namespace
}  // namespace tessera::device
