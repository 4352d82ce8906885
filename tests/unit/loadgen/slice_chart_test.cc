// Boxes of the runs that fall into the stretch that is shown, and no more of them than a page bears.
#include "loadgen/slice_chart.h"

#include <gtest/gtest.h>

#include <string>

namespace tessera::loadgen {
namespace {

using namespace std::chrono_literals;

TimePoint at(Duration since) { return TimePoint(1h) + since; }

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t place = text.find(part); place != std::string::npos; place = text.find(part, place + 1)) {
    ++found;
  }
  return found;
}

SliceRuns two_models() {
  SliceRuns out;
  out.models = {"one", "<two>"};
  out.atoms = 4;
  out.runs = {{at(1ms), at(3ms), 0, 0, 2, 8}, {at(2ms), at(6ms), 1, 2, 2, 1}, {at(900ms), at(901ms), 0, 0, 4, 3}};
  return out;
}

TEST(SliceChart, HasABoxForEachRunOfTheStretch) {
  const std::string all = slice_chart(two_models(), at(0ms), 2s);
  EXPECT_EQ(count(all, "<rect"), 3U);
  EXPECT_NE(all.find("one: 8 rows, atoms 0 to 1, 1.000 to 3.000 ms"), std::string::npos) << all;
  EXPECT_NE(all.find("&lt;two&gt;: 1 row, atoms 2 to 3, 2.000 to 6.000 ms"), std::string::npos) << all;
  SliceRuns single = two_models();
  single.runs[0].atoms = 1;
  EXPECT_NE(slice_chart(single, at(0ms), 2s).find("one: 8 rows, atom 0, 1.000"), std::string::npos);
  EXPECT_EQ(count(slice_chart(two_models(), at(0ms), 10ms), "<rect"), 2U);
  EXPECT_EQ(count(slice_chart(two_models(), at(3ms), 10ms), "<rect"), 1U);  // what ended by then is not in it
}

TEST(SliceChart, IsOnlySoLarge) {
  SliceRuns many = two_models();
  for (int i = 0; i < 100'000; ++i) {
    many.runs.push_back({at(i * 10us), at(i * 10us + 800us), 0, 0, 1, 1});
  }
  const std::string chart = slice_chart(many, at(0ms), 1s, 600);
  EXPECT_LE(count(chart, "<rect"), 600U);
  EXPECT_GE(count(chart, "<rect"), 590U);
  EXPECT_LT(chart.size(), 200'000U);
}

TEST(SliceChart, IsNoLongerThanThatARunCanBeSeen) {
  SliceRuns known;
  known.models = {"one"};
  known.atoms = 1;
  for (int i = 0; i < 1000; ++i) {
    known.runs.push_back({at(i * 2ms), at(i * 2ms + 1ms), 0, 0, 1, 1});
  }
  // A hundred of them need 200 ms; for half of that there is no reason to stop.
  EXPECT_EQ(count(slice_chart(known, at(0ms), 2s), "<rect"), 100U);
  EXPECT_EQ(count(slice_chart(known, at(0ms), 100ms), "<rect"), 50U);
}

TEST(SliceChart, SaysNothingOfWhatIsNotKnown) {
  EXPECT_EQ(slice_chart({}, at(0ms)), "");
  EXPECT_EQ(busy_chart({}, at(0ms)), "");
  EXPECT_EQ(slice_chart(two_models(), at(2s)), "");
}

TEST(BusyChart, AddsAtomsUp) {
  SliceRuns known;
  known.models = {"half", "quarter"};
  known.atoms = 4;
  known.runs = {{at(0ms), at(60ms), 0, 0, 2, 1}, {at(0ms), at(60ms), 1, 2, 1, 1}};
  const std::string chart = busy_chart(known, at(0ms));
  EXPECT_EQ(count(chart, "<polyline"), 3U);
  // 3, 2 and 1 of 4 atoms all the time: three level lines in the order of the legend.
  const auto height = [&](int line) {
    std::size_t place = 0;
    for (int i = 0; i <= line; ++i) {
      place = chart.find("points=\"", place + 1);
    }
    const std::size_t comma = chart.find(',', place);
    return std::stod(chart.substr(comma + 1));
  };
  EXPECT_NEAR(height(1) - height(0), height(2) - height(1), 0.2);
  EXPECT_GT(height(1), height(0) + 10);
}

}  // namespace
}  // namespace tessera::loadgen
