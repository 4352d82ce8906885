#include "server/grpc/infer_encoder.h"

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "grpc_service.pb.h"

namespace tessera::server {
namespace {

std::string bytes_of(const ::grpc::ByteBuffer& buffer) {
  std::vector<::grpc::Slice> slices;
  EXPECT_TRUE(buffer.Dump(&slices).ok());
  std::string out;
  for (const auto& slice : slices) out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return out;
}

FinishedOutput output(std::string_view name, const std::vector<std::byte>& data) {
  FinishedOutput out;
  out.name = name;
  out.tensor = {DType::kUint8, Shape{1, static_cast<std::int64_t>(data.size())}, data};
  return out;
}

TEST(InferEncoder, WhatIsWrittenIsWhatProtobufReads) {
  const std::vector<std::byte> small(5, std::byte{'s'});
  const auto large = std::make_shared<std::vector<std::byte>>(kReferencedOutputBytes, std::byte{'l'});
  const std::vector<std::byte> none;
  InferAnswer answer;
  answer.model = "simple";
  answer.version = 12;
  answer.id = "r9";
  answer.outputs = {output("A", small), output("B", *large), output("C", none), output("D", *large),
                    output("E", small)};
  answer.outputs[4].shared_memory = SharedMemoryRange{"region", 16, 5};
  answer.memory = large;
  ::grpc::ByteBuffer buffer;
  encode_answer(std::move(answer), Envelope::kUnary, buffer);
  EXPECT_EQ(large.use_count(), 3) << "each large output keeps the memory";

  inference::ModelInferResponse response;
  ASSERT_TRUE(response.ParseFromString(bytes_of(buffer)));
  EXPECT_EQ(response.model_name(), "simple");
  EXPECT_EQ(response.model_version(), "12");
  EXPECT_EQ(response.id(), "r9");
  ASSERT_EQ(response.outputs_size(), 5);
  EXPECT_EQ(response.outputs(1).name(), "B");
  EXPECT_EQ(response.outputs(1).datatype(), "UINT8");
  ASSERT_EQ(response.outputs(1).shape_size(), 2);
  EXPECT_EQ(response.outputs(1).shape(1), static_cast<std::int64_t>(kReferencedOutputBytes));
  ASSERT_EQ(response.raw_output_contents_size(), 5);
  EXPECT_EQ(response.raw_output_contents(0), "sssss");
  EXPECT_EQ(response.raw_output_contents(1), std::string(kReferencedOutputBytes, 'l'));
  EXPECT_EQ(response.raw_output_contents(2), "");
  EXPECT_EQ(response.raw_output_contents(3), std::string(kReferencedOutputBytes, 'l'));
  EXPECT_EQ(response.raw_output_contents(4), "") << "the bytes are in shared memory";
  const auto& parameters = response.outputs(4).parameters();
  EXPECT_EQ(parameters.at("shared_memory_region").string_param(), "region");
  EXPECT_EQ(parameters.at("shared_memory_byte_size").int64_param(), 5);
  EXPECT_EQ(parameters.at("shared_memory_offset").int64_param(), 16);
  EXPECT_EQ(response.parameters_size(), 0);

  buffer.Clear();
  EXPECT_EQ(large.use_count(), 1) << "and lets go of it";
}

TEST(InferEncoder, LargeTextsOutliveTheirOutput) {
  InferAnswer answer;
  answer.model = "m";
  FinishedOutput& labels = answer.outputs.emplace_back();
  labels.name = "L";
  labels.text.assign(kReferencedOutputBytes + 1, std::byte{'t'});
  labels.tensor = {DType::kBytes, Shape{1}, labels.text};
  ::grpc::ByteBuffer buffer;
  encode_answer(std::move(answer), Envelope::kUnary, buffer);
  inference::ModelInferResponse response;
  ASSERT_TRUE(response.ParseFromString(bytes_of(buffer)));
  EXPECT_EQ(response.raw_output_contents(0), std::string(kReferencedOutputBytes + 1, 't'));
}

TEST(InferEncoder, StreamsWrapAnswersAndErrors) {
  const std::vector<std::byte> data(kReferencedOutputBytes, std::byte{'x'});
  InferAnswer answer;
  answer.model = "m";
  answer.final_response = false;
  answer.outputs = {output("A", data)};
  ::grpc::ByteBuffer buffer;
  encode_answer(std::move(answer), Envelope::kStream, buffer);
  inference::ModelStreamInferResponse response;
  ASSERT_TRUE(response.ParseFromString(bytes_of(buffer)));
  EXPECT_EQ(response.error_message(), "");
  EXPECT_EQ(response.infer_response().raw_output_contents(0).size(), data.size());
  EXPECT_FALSE(response.infer_response().parameters().at("triton_final_response").bool_param());

  InferAnswer last;
  last.final_response = true;
  encode_answer(std::move(last), Envelope::kStream, buffer);
  ASSERT_TRUE(response.ParseFromString(bytes_of(buffer)));
  EXPECT_TRUE(response.infer_response().parameters().at("triton_final_response").bool_param());
  EXPECT_EQ(response.infer_response().outputs_size(), 0);

  encode_stream_error("no such thing", "m", "r3", buffer);
  ASSERT_TRUE(response.ParseFromString(bytes_of(buffer)));
  EXPECT_EQ(response.error_message(), "no such thing");
  EXPECT_EQ(response.infer_response().id(), "r3");
}

}  // namespace
}  // namespace tessera::server
