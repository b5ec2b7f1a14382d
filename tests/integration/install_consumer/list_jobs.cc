// A client written against the installed API: lists jobs, then asks for one
// that does not exist. Usage: list_jobs host:port

#include <grpcpp/grpcpp.h>

#include <iostream>

#include "lory/v1/job.grpc.pb.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: list_jobs host:port\n";
    return 2;
  }
  auto stub = lory::v1::JobService::NewStub(
      grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials()));
  grpc::ClientContext list_context;
  lory::v1::ListJobsResponse jobs;
  const grpc::Status listed =
      stub->ListJobs(&list_context, lory::v1::ListJobsRequest(), &jobs);
  if (!listed.ok()) {
    std::cerr << "ListJobs: " << listed.error_message() << "\n";
    return 1;
  }
  grpc::ClientContext get_context;
  lory::v1::GetJobRequest request;
  request.set_name("jobs/nobody");
  lory::v1::Job job;
  const grpc::Status got = stub->GetJob(&get_context, request, &job);
  if (got.error_code() != grpc::StatusCode::NOT_FOUND) {
    std::cerr << "GetJob: wanted NOT_FOUND, got: " << got.error_message()
              << "\n";
    return 1;
  }
  std::cout << jobs.jobs_size() << " jobs\n";
  return 0;
}
