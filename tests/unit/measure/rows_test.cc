#include "measure/rows.h"

#include <gtest/gtest.h>

#include <set>

namespace tessera::measure {
namespace {

Scores::Score score_of(const Scores& scores, std::string_view id) {
  for (const auto& score : scores.all()) {
    if (score.row->id == id) {
      return score;
    }
  }
  ADD_FAILURE() << "no row " << id;
  return {};
}

TEST(RowsTest, IdsAreUnique) {
  std::set<std::string> ids;
  for (const Row& row : rows()) {
    EXPECT_TRUE(ids.insert(row.id).second) << row.id;
  }
}

TEST(RowsTest, TheWorstFigureCounts) {
  Scores scores;
  scores.add("homed_ratio", 1.01, "a");
  scores.add("homed_ratio", 1.03, "b");
  scores.add("homed_ratio", 1.00, "c");
  EXPECT_DOUBLE_EQ(*score_of(scores, "homed_ratio").figure, 1.03);
  EXPECT_EQ(score_of(scores, "homed_ratio").note, "b");
  EXPECT_FALSE(score_of(scores, "homed_ratio").met());
  scores.add("share_b1_temporal", 2.0);
  scores.add("share_b1_temporal", 1.9);
  EXPECT_DOUBLE_EQ(*score_of(scores, "share_b1_temporal").figure, 1.9);
  EXPECT_TRUE(score_of(scores, "share_b1_temporal").met());
}

TEST(RowsTest, WhatIsNotMeasuredIsNotMet) {
  Scores scores;
  scores.not_measured("loading_p99", "no models");
  EXPECT_FALSE(score_of(scores, "loading_p99").met());
  EXPECT_NE(scores.table().find("no models"), std::string::npos);
  EXPECT_NE(scores.json().find("\"verdict\":\"not measured\""), std::string::npos);
}

TEST(RowsTest, ArmsOfOneRoundAreCompared) {
  measure::Run run;
  run.cells = {{"temporal", 1, {{{100, 1, 1}}, {{200, 1, 1}}, {{100, 1, 1}}}},
               {"tessera", 1, {{{200, 1, 1}}, {{300, 1, 1}}, {{190, 1, 1}}}},
               {"fixed", 1, {{{100, 2, 3}}}}};
  Scores scores;
  score(run, scores);
  EXPECT_DOUBLE_EQ(*score_of(scores, "share_b1_temporal").figure, 1.9);
  EXPECT_FALSE(score_of(scores, "share_b1_streams").figure.has_value());
  EXPECT_DOUBLE_EQ(*score_of(scores, "share_even").figure, 1.5);
}

TEST(RowsTest, PlansThatDifferAreCounted) {
  HomedCell same{
      .model = "m", .batch = 1, .slice = {0, 1}, .homed_ms = 1, .native_ms = 1, .same_bits = true, .refused = {}};
  HomedCell other = same;
  other.same_bits = false;
  HomedCell refused = same;
  refused.refused = "no";
  Scores scores;
  score(std::vector<HomedCell>{same, other, refused}, scores);
  EXPECT_DOUBLE_EQ(*score_of(scores, "homed_other_bits").figure, 1);
  EXPECT_FALSE(score_of(scores, "homed_other_bits").met());
}

}  // namespace
}  // namespace tessera::measure
