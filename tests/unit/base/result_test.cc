#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace tessera {
namespace {

Result<int> parse_digit(char c) {
  if (c < '0' || c > '9') {
    return invalid_argument(std::string("not a digit: ") + c);
  }
  return c - '0';
}

Result<int> sum(std::string_view digits) {
  int total = 0;
  for (const char c : digits) {
    TESSERA_ASSIGN_OR_RETURN(const int digit, parse_digit(c));
    total += digit;
  }
  return total;
}

Status check_all(std::string_view digits) {
  for (const char c : digits) {
    TESSERA_RETURN_IF_ERROR(parse_digit(c));
  }
  return ok_status();
}

TEST(Result, HoldsAValueOrAnError) {
  const auto good = sum("123");
  ASSERT_TRUE(good.ok());
  EXPECT_EQ(*good, 6);
  const auto bad = sum("1x3");
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(bad.error().message(), "not a digit: x");
}

TEST(Result, MovesOutWhatCannotBeCopied) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
  const std::unique_ptr<int> taken = *std::move(result);
  EXPECT_EQ(*taken, 7);
}

TEST(Result, StatusTravelsThroughTheMacros) {
  EXPECT_TRUE(check_all("42").ok());
  const Status bad = check_all("4?");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message(), "not a digit: ?");
}

TEST(Result, AnErrorKeepsItsCodeAndDelayInContext) {
  const Error error = unavailable("full").with_retry_after(std::chrono::milliseconds(20)).in("model a");
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_EQ(error.message(), "model a: full");
  ASSERT_TRUE(error.retry_after().has_value());
  EXPECT_EQ(*error.retry_after(), std::chrono::milliseconds(20));
}

TEST(Result, EveryCodeHasAName) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
    EXPECT_NE(to_string(static_cast<ErrorCode>(code)), "unknown") << code;
  }
}

TEST(ResultDeathTest, TakingTheWrongHalfIsABug) {
  const Result<int> bad(not_found("no"));
  EXPECT_DEATH(static_cast<void>(bad.value()), "check failed");
  const Result<int> good(1);
  EXPECT_DEATH(static_cast<void>(good.error()), "check failed");
  EXPECT_DEATH(static_cast<void>(ok_status().error()), "check failed");
}

}  // namespace
}  // namespace tessera
