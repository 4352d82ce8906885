// Who goes first: models that miss more than the others, as long as it helps. What it is worth:
// tests/e2e/test_simulate.py.
#include "sched/balance.h"

#include <gtest/gtest.h>

namespace tessera::sched {
namespace {

TEST(Balance, WhoMissesMoreThanTheOthersGoesSooner) {
  EXPECT_EQ(Balance::part(0.01, 0.01), 0);
  EXPECT_GT(Balance::part(0.012, 0.01), 0);
  EXPECT_LT(Balance::part(0.008, 0.01), 0);
  EXPECT_GT(Balance::part(0.014, 0.01), Balance::part(0.012, 0.01));
}

TEST(Balance, ByAPartOfTheObjectiveAtMost) {
  EXPECT_DOUBLE_EQ(Balance::part(0.05, 0), 0.3);
  EXPECT_DOUBLE_EQ(Balance::part(0, 0.05), -0.3);
}

TEST(Balance, NobodyPaysForOneThatIsBeyondHelp) {
  EXPECT_GT(Balance::part(0.09, 0.08), 0);
  EXPECT_EQ(Balance::part(0.11, 0.08), 0);
  EXPECT_EQ(Balance::part(0.2, 0.01), 0);
  EXPECT_EQ(Balance::part(1, 0.3), 0);
}

}  // namespace
}  // namespace tessera::sched
