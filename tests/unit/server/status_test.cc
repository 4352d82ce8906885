#include "server/status.h"

#include <gtest/gtest.h>

#include "server/parameters.h"
#include "server/version.h"

namespace tessera::server {
namespace {

TEST(Status, NeverBlamesTheServerForAPeer) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::kInternal); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    const bool internal = code == ErrorCode::kInternal;
    EXPECT_EQ(http_status(code) == 500, internal) << to_string(code);
    EXPECT_EQ(grpc_status(code) == 13, internal) << to_string(code);
    EXPECT_GE(http_status(code), 400);
    EXPECT_GT(grpc_status(code), 0);
  }
  EXPECT_EQ(http_status(ErrorCode::kNotFound), 404);
  EXPECT_EQ(http_status(ErrorCode::kUnavailable), 503);
  EXPECT_EQ(http_status(ErrorCode::kTooLarge), 413);
  EXPECT_EQ(grpc_status(ErrorCode::kDeadlineExceeded), 14);
}

TEST(Status, PutsTheRequestsIdInFrontOnce) {
  const Error error = unavailable("busy").with_retry_after(std::chrono::milliseconds(5));
  const Error named = with_request_id(error, "7");
  EXPECT_EQ(named.message(), "[request id: 7] busy");
  EXPECT_EQ(named.code(), ErrorCode::kUnavailable);
  EXPECT_EQ(named.retry_after(), std::chrono::milliseconds(5));
  EXPECT_EQ(with_request_id(named, "8").message(), named.message());
  EXPECT_EQ(with_request_id(error, "").message(), "[request id: <id_unknown>] busy");
}

TEST(Parameters, SetPriorityAndTimeout) {
  InferRequest request;
  EXPECT_TRUE(apply_request_parameter("priority", std::int64_t{3}, request).ok());
  EXPECT_TRUE(apply_request_parameter("timeout", std::uint64_t{1500}, request).ok());
  EXPECT_TRUE(apply_request_parameter("anything", std::string_view("else"), request).ok());
  EXPECT_EQ(request.priority, 3U);
  EXPECT_EQ(request.timeout, std::chrono::microseconds(1500));
  EXPECT_TRUE(apply_request_parameter("timeout", UINT64_MAX, request).ok());  // no limit one could tell from none
  EXPECT_FALSE(apply_request_parameter("priority", std::int64_t{1} << 33, request).ok());
  EXPECT_FALSE(apply_request_parameter("priority", -1.0, request).ok());
  EXPECT_FALSE(apply_request_parameter("timeout", std::int64_t{-1}, request).ok());
}

TEST(Parameters, RefuseSequencesButNotTheirNeutralValues) {
  InferRequest request;
  EXPECT_TRUE(apply_request_parameter("sequence_id", std::int64_t{0}, request).ok());
  EXPECT_TRUE(apply_request_parameter("sequence_id", std::string_view(), request).ok());
  EXPECT_TRUE(apply_request_parameter("sequence_start", false, request).ok());
  for (const auto& [name, value] : {std::pair<std::string_view, ParameterValue>{"sequence_id", std::int64_t{1}},
                                    {"sequence_id", std::string_view("s")},
                                    {"sequence_start", true},
                                    {"sequence_end", true}}) {
    const Status status = apply_request_parameter(name, value, request);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code(), ErrorCode::kUnsupported);
    EXPECT_NE(status.error().message().find(name), std::string::npos);
  }
}

TEST(Parameters, CollectARangeOfSharedMemory) {
  SharedMemoryParameters none;
  EXPECT_FALSE(*none.apply("binary_data", true));
  EXPECT_FALSE(none.range("x")->has_value());
  SharedMemoryParameters full;
  EXPECT_TRUE(*full.apply("shared_memory_byte_size", std::int64_t{8}));
  EXPECT_FALSE(full.range("x").ok());
  EXPECT_TRUE(*full.apply("shared_memory_region", std::string_view("r")));
  EXPECT_TRUE(*full.apply("shared_memory_offset", std::int64_t{4}));
  const auto range = full.range("x");
  ASSERT_TRUE(range.ok() && range->has_value());
  EXPECT_EQ((*range)->region, "r");
  EXPECT_EQ((*range)->offset, 4U);
  EXPECT_EQ((*range)->byte_size, 8U);
  EXPECT_FALSE(full.apply("shared_memory_offset", std::int64_t{-4}).ok());
  EXPECT_FALSE(full.apply("shared_memory_region", true).ok());
}

TEST(Version, IsAPositiveNumber) {
  EXPECT_EQ(*parse_version(""), std::nullopt);
  EXPECT_EQ(*parse_version("12"), 12);
  for (const std::string_view bad : {"0", "-1", "1x", " 1", "1.0", "x", "99999999999999999999"}) {
    EXPECT_FALSE(parse_version(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace tessera::server
