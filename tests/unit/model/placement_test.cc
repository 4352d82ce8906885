// Which devices are to hold which models, and what several devices say of them as one index.
#include "model/placement.h"

#include <gtest/gtest.h>

#include "model/config.h"
#include "model/version_index.h"
#include "model_config.pb.h"
#include "tests/unit/model/fakes.h"

namespace tessera::model {
namespace {

inference::ModelConfig config(const std::string& text) {
  auto written = parse_config_text(text);
  EXPECT_TRUE(written.ok());
  return *written->proto;
}

std::vector<bool> holders(const Placement& placement, const std::string& model, std::size_t devices = 3) {
  std::vector<bool> out;
  for (std::size_t device = 0; device < devices; ++device) {
    out.push_back(placement.holds(device, model));
  }
  return out;
}

using Flags = std::vector<bool>;

TEST(Placement, PutsModelsOnAllDevicesOrWhereTheyWishToBe) {
  Placement placement(3);
  ASSERT_TRUE(placement.wish("all", config("")).ok());
  ASSERT_TRUE(placement.wish("some", config("instance_group [{ gpus: [0] }, { gpus: [2] }]")).ok());
  ASSERT_TRUE(placement.wish("any", config("instance_group [{ gpus: [0] }, { count: 1 }]")).ok());
  EXPECT_EQ(holders(placement, "all"), (Flags{true, true, true}));
  EXPECT_EQ(holders(placement, "some"), (Flags{true, false, true}));
  EXPECT_EQ(holders(placement, "any"), (Flags{true, true, true}));
  EXPECT_EQ(holders(placement, "unheard of"), (Flags{true, true, true}));
  placement.forget("some");
  EXPECT_EQ(holders(placement, "some"), (Flags{true, true, true}));
}

TEST(Placement, RefusesNumbersThatNoDeviceHas) {
  Placement placement(2);
  for (const char* number : {"2", "-1"}) {
    const Status wish = placement.wish("m", config("instance_group [{ gpus: [" + std::string(number) + "] }]"));
    ASSERT_FALSE(wish.ok());
    EXPECT_EQ(wish.error().message(),
              "instance_group[0].gpus: there is no device " + std::string(number) + ", they count from 0 to 1");
  }
}

TEST(Placement, AnAddedDeviceHoldsWhatMayBeAnywhere) {
  Placement placement(1);
  ASSERT_TRUE(placement.wish("all", config("")).ok());
  ASSERT_TRUE(placement.wish("first", config("instance_group [{ gpus: [0] }]")).ok());
  placement.add();
  EXPECT_EQ(holders(placement, "all", 2), (Flags{true, true}));
  EXPECT_EQ(holders(placement, "first", 2), (Flags{true, false}));
  EXPECT_EQ(holders(placement, "unheard of", 2), (Flags{true, true}));
  ASSERT_TRUE(placement.wish("second", config("instance_group [{ gpus: [1] }]")).ok());
  EXPECT_EQ(holders(placement, "second", 2), (Flags{false, true}));
  placement.lose(0);
  EXPECT_EQ(holders(placement, "first", 2), (Flags{false, true}));
}

TEST(Placement, WhatOnlyALostDeviceHeldGoesToTheOthers) {
  Placement placement(3);
  ASSERT_TRUE(placement.wish("all", config("")).ok());
  ASSERT_TRUE(placement.wish("pair", config("instance_group [{ gpus: [0, 1] }]")).ok());
  placement.lose(1);
  EXPECT_EQ(holders(placement, "all"), (Flags{true, false, true}));
  EXPECT_EQ(holders(placement, "pair"), (Flags{true, false, false}));
  EXPECT_EQ(holders(placement, "unheard of"), (Flags{true, false, true}));
  placement.lose(0);
  EXPECT_EQ(holders(placement, "pair"), (Flags{false, false, true}));
}

std::vector<std::string> lines(const std::vector<IndexEntry>& entries) {
  std::vector<std::string> out;
  for (const IndexEntry& entry : entries) {
    out.push_back(entry.name + " " + entry.version + " " + entry.state + " " + entry.reason);
  }
  return out;
}

TEST(MergedIndex, AVersionIsReadyWhereOneDeviceServesItAndTellsOfTheOthers) {
  const auto all = merged({{"cuda:0", {{"m", "1", "UNAVAILABLE", "out of memory"}, {"n", "1", "READY", ""}}},
                           {"cuda:1", {{"m", "1", "READY", ""}, {"n", "1", "LOADING", ""}}},
                           {"cuda:2", {{"m", "1", "UNAVAILABLE", "broken"}}}});
  EXPECT_EQ(lines(all), (Lines{"m 1 READY on cuda:0: out of memory; on cuda:2: broken", "n 1 READY "}));
}

TEST(MergedIndex, WhatAllSayIsSaidOnce) {
  const auto all = merged({{"a", {{"m", "1", "UNAVAILABLE", "unloaded"}, {"never", "", "", ""}}},
                           {"b", {{"m", "1", "UNAVAILABLE", "unloaded"}, {"never", "", "", ""}}}});
  EXPECT_EQ(lines(all), (Lines{"m 1 UNAVAILABLE unloaded", "never   "}));
}

TEST(MergedIndex, VersionsAreInOrderAndADeviceThatKnowsNoneAddsNone) {
  const auto all = merged(
      {{"a", {{"m", "10", "READY", ""}, {"m", "9", "LOADING", ""}}}, {"b", {{"m", "", "UNAVAILABLE", "no folder"}}}});
  EXPECT_EQ(lines(all), (Lines{"m 9 LOADING ", "m 10 READY "}));
}

TEST(MergedIndex, OfOneDeviceIsItsOwn) {
  const auto all = merged({{"host", {{"m", "1", "UNAVAILABLE", "broken"}}}});
  EXPECT_EQ(lines(all), Lines{"m 1 UNAVAILABLE broken"});
}

}  // namespace
}  // namespace tessera::model
