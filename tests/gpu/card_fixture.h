// The first card of the host, for tests of what runs on it; they skip where there is none.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "tests/support/cuda/card_kit.h"

namespace tessera::device::contract {

class CardTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!host_driver().ok()) {
      GTEST_SKIP() << host_driver().error().message();
    }
    auto kit = CardKit::make(*host_driver());
    ASSERT_TRUE(kit.ok()) << kit.error().message();
    kit_ = *std::move(kit);
  }

  std::unique_ptr<CardKit> kit_;
};

}  // namespace tessera::device::contract
