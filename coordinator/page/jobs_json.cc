#include "coordinator/page/jobs_json.h"

#include <google/protobuf/util/json_util.h>

#include "absl/strings/str_cat.h"

namespace lory::coordinator::page {
namespace {

void Append(const google::protobuf::Message& message, std::string& list) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto status =
      google::protobuf::util::MessageToJsonString(message, &text, options);
  if (status.ok()) absl::StrAppend(&list, list.empty() ? "" : ",", text);
}

}  // namespace

std::string RenderJobsJson(const StatusPageData& data) {
  std::string jobs, workers;
  for (const lory::v1::Job& job : data.jobs) Append(job, jobs);
  for (const lory::v1::Worker& worker : data.workers) Append(worker, workers);
  return absl::StrCat("{\"jobs\":[", jobs, "],\"workers\":[", workers, "]}\n");
}

}  // namespace lory::coordinator::page
