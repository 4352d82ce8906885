#include "device/host/flights.h"

#include <gtest/gtest.h>

#include <vector>

namespace tessera::device {
namespace {

Launch on(std::uint64_t id, Slice slice, After after = After::kOverlap, std::uint16_t lane = 0) {
  return {.id = {id}, .instance = {1}, .lane = {lane}, .slice = slice, .after = after};
}

std::vector<std::uint64_t> ids(const std::vector<Flight*>& flights) {
  std::vector<std::uint64_t> list;
  list.reserve(flights.size());
  for (const Flight* flight : flights) {
    list.push_back(flight->launch.id.value);
  }
  return list;
}

TEST(Flights, AFlightWaitsForEveryEarlierOverlappingOne) {
  Flights flights;
  std::vector<Flight*> ready;
  EXPECT_EQ(flights.add(on(1, {0, 1}))->waits_for, 0U);
  EXPECT_EQ(flights.add(on(2, {1, 1}))->waits_for, 0U);
  EXPECT_EQ(flights.add(on(3, {0, 2}))->waits_for, 2U);
  EXPECT_EQ(flights.add(on(4, {1, 1}))->waits_for, 2U);
  EXPECT_EQ(flights.add(on(5, {2, 1}))->waits_for, 0U);
  flights.remove({2}, ready);
  EXPECT_TRUE(ready.empty());
  flights.remove({1}, ready);
  EXPECT_EQ(ids(ready), (std::vector<std::uint64_t>{3}));
  flights.remove({3}, ready);
  EXPECT_EQ(ids(ready), (std::vector<std::uint64_t>{4}));
}

TEST(Flights, ADroppedOneIsNeverReadyAndHoldsOthersUntilItIsRemoved) {
  Flights flights;
  std::vector<Flight*> ready;
  flights.add(on(1, {0, 1}));
  flights.add(on(2, {0, 1}))->phase = Flight::Phase::kDropped;
  flights.add(on(3, {0, 1}));
  flights.remove({1}, ready);
  EXPECT_TRUE(ready.empty());
  flights.remove({2}, ready);
  EXPECT_EQ(ids(ready), (std::vector<std::uint64_t>{3}));
}

TEST(Flights, LaneOrderLooksAtTheLaneAndTheVerySameSliceOnly) {
  Flights flights;
  flights.add(on(1, {0, 2}, After::kLane, 0));
  EXPECT_EQ(flights.add(on(2, {0, 1}, After::kLane, 1))->waits_for, 0U);
  EXPECT_EQ(flights.add(on(3, {2, 1}, After::kLane, 0))->waits_for, 1U);
  EXPECT_EQ(flights.add(on(4, {0, 2}, After::kLane, 2))->waits_for, 1U) << "one run at a time in one slice";
  EXPECT_EQ(flights.add(on(5, {0, 1}, After::kOverlap, 3))->waits_for, 3U);
}

TEST(Flights, FindsByIdAlsoWhereIdsCollide) {
  Flights flights;
  constexpr std::uint64_t kSize = Flights::kMaxInFlight;
  std::vector<Flight*> ready;
  for (const std::uint64_t id : {std::uint64_t{7}, 7 + kSize, std::uint64_t{8}, 7 + 2 * kSize}) {
    flights.add(on(id, {0, 1}));
  }
  for (const std::uint64_t id : {std::uint64_t{7}, 7 + kSize, std::uint64_t{8}, 7 + 2 * kSize}) {
    ASSERT_NE(flights.find({id}), nullptr);
    EXPECT_EQ(flights.find({id})->launch.id.value, id);
    EXPECT_EQ(&flights.at(flights.index_of(*flights.find({id}))), flights.find({id}));
  }
  flights.remove({7 + kSize}, ready);
  EXPECT_EQ(flights.find({7 + kSize}), nullptr);
  EXPECT_NE(flights.find({8}), nullptr) << "a gap does not hide what lies behind it";
}

TEST(Flights, HaveAnEnd) {
  Flights flights;
  std::vector<Flight*> ready;
  for (std::uint64_t id = 1; id <= Flights::kMaxInFlight; ++id) {
    ASSERT_NE(flights.add(on(id, {0, 1})), nullptr);
  }
  EXPECT_EQ(flights.add(on(Flights::kMaxInFlight + 1, {0, 1})), nullptr);
  flights.remove({5}, ready);
  EXPECT_NE(flights.add(on(Flights::kMaxInFlight + 1, {0, 1})), nullptr);
  EXPECT_EQ(flights.in_order().size(), Flights::kMaxInFlight);
}

TEST(FlightsDeathTest, AnIdInFlightIsNotGivenAgain) {
  Flights flights;
  std::vector<Flight*> ready;
  flights.add(on(1, {0, 1}));
  EXPECT_DEATH(flights.add(on(1, {0, 1})), "check failed");
  EXPECT_DEATH(flights.remove({2}, ready), "check failed");
}

}  // namespace
}  // namespace tessera::device
