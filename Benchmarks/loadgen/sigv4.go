package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

var (
	accessKey = flag.String("access-key", "", "AWS access key id, for the step describe")
	secretKey = flag.String("secret-key", "", "its secret")
	region    = flag.String("region", "us-west-2", "AWS region")
	cluster   = flag.String("cluster", "bench", "cluster that is described")
)

func mac(key []byte, text string) []byte {
	hash := hmac.New(sha256.New, key)
	hash.Write([]byte(text))
	return hash.Sum(nil)
}

// describe calls EKS's DescribeCluster, signed anew as the SDKs do, and reads the whole answer.
func describe(i int) (int64, error) {
	target, err := url.Parse(*server)
	if err != nil {
		return 0, err
	}
	now := time.Now().UTC()
	date, day, path := now.Format("20060102T150405Z"), now.Format("20060102"), "/clusters/"+*cluster
	empty := sha256.Sum256(nil)
	canonical := fmt.Sprintf("GET\n%s\n\nhost:%s\nx-amz-date:%s\n\nhost;x-amz-date\n%s", path, target.Host, date, hex.EncodeToString(empty[:]))
	scope := day + "/" + *region + "/eks/aws4_request"
	digest := sha256.Sum256([]byte(canonical))
	key := mac(mac(mac(mac([]byte("AWS4"+*secretKey), day), *region), "eks"), "aws4_request")
	signature := hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256\n"+date+"\n"+scope+"\n"+hex.EncodeToString(digest[:])))
	request, err := http.NewRequest("GET", *server+path, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("X-Amz-Date", date)
	request.Header.Set("User-Agent", "Boto3/1.43.11 md/Botocore#1.43.11 ua/2.1 os/linux#6.18")
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+*accessKey+"/"+scope+", SignedHeaders=host;x-amz-date, Signature="+signature)
	response, err := clients[i%len(clients)].Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != 200 {
		err = fmt.Errorf("DescribeCluster: HTTP %d: %.300s", response.StatusCode, answer)
	}
	return int64(len(answer)), err
}
